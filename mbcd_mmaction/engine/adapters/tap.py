"""Add losses to those that any model returns in training.

Everything that DistributedDataParallel must reduce, a loss scaler scale and
gradient accumulation divide has to be in the dict that ``forward(mode=
'loss')`` returns. No hook of a Runner stands there; a forward hook of the
module does, also within DDP, autocast and ``torch.compile``.
"""
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

__all__ = ['LossTap', 'Step']

# One tap a model, whoever asks for it.
_TAPS: 'weakref.WeakKeyDictionary[nn.Module, LossTap]' = (
    weakref.WeakKeyDictionary())
Logits = Tensor | dict[str, Tensor]


@dataclass
class Step:
    """What is known of one training step when the model has its losses.

    Attributes:
        model (nn.Module): The model, unwrapped.
        args (tuple): Positional arguments of its forward.
        kwargs (dict): Keyword arguments.
        losses (dict[str, Tensor]): What it returned.
        logits (list): What the watched head returned, once for each time it
            was called; empty where no head is watched.
    """
    model: nn.Module
    args: tuple
    kwargs: dict[str, Any]
    losses: dict[str, Tensor] = field(default_factory=dict)
    logits: list[Logits] = field(default_factory=list)

    def arguments(self) -> tuple[tuple, dict[str, Any]]:
        """The arguments as they came, for one more forward.

        Models write into their input dicts (MMRecognizer3D flattens the
        views there), so dicts are copied each time; tensors are not.
        """
        return (tuple(_copied(x) for x in self.args),
                {name: _copied(x) for name, x in self.kwargs.items()})


Objective = Callable[[Step], Mapping[str, Tensor]]


class LossTap:
    """Forward hooks on one model that let objectives change its losses.

    An objective maps a :class:`Step` to entries that replace or join the
    losses. It is asked in every ``forward(mode='loss')`` of a model in
    training mode, sees the model's own losses whatever others add, and is
    not asked within itself: a forward that an objective makes passes as if
    there were no tap. Attach in ``before_train``: compilation comes after,
    and it ignores hooks that come later still.

    Use :meth:`of`.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = weakref.ref(model)
        self._objectives: list[Objective] = []
        self._handles: list = []
        self._step: Step | None = None
        self._busy = False
        self._asked = False

    @classmethod
    def of(cls, model: nn.Module) -> 'LossTap':
        """The tap of this model, made where there is none yet."""
        if model not in _TAPS:
            _TAPS[model] = cls(model)
        return _TAPS[model]

    def __deepcopy__(self, memo: dict) -> 'LossTap':
        # Copies of a model (averages) share it; it knows its own model.
        return self

    def add(self, objective: Objective, head: nn.Module | None = None) -> None:
        """Ask this objective in every training step from now on.

        Args:
            objective (Callable): Maps a :class:`Step` to losses.
            head (nn.Module, optional): A module of the model; what it
                returns is kept as ``Step.logits``.

        Raises:
            ValueError: The model has one of its kind already; the two would
                write the same losses.
        """
        if any(type(other) is type(objective) for other in self._objectives):
            raise ValueError(
                f'this model has a {type(objective).__name__} already: '
                'expected one hook of a kind in custom_hooks')
        if not self._objectives:
            model = self._model()
            self._handles += [
                model.register_forward_pre_hook(self._before,
                                                with_kwargs=True),
                model.register_forward_hook(self._after, with_kwargs=True)
            ]
        if head is not None:
            self._handles.append(head.register_forward_hook(self._keep))
        self._objectives.append(objective)

    def remove(self, objective: Objective) -> None:
        """Ask it no longer; without objectives the model is as it was."""
        if objective in self._objectives:
            self._objectives.remove(objective)
        if not self._objectives:
            self.clear()

    def clear(self) -> None:
        """Forget what a training that failed left here."""
        self._objectives.clear()
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._step = None
        self._busy = False
        self._asked = False

    def check_asked(self, who: str) -> None:
        """Refuse a model whose training step does not pass here.

        Args:
            who (str): The hook that would train on in silence.

        Raises:
            TypeError: No step has come by yet.
        """
        model = self._model()
        if not self._asked and model is not None:
            raise TypeError(
                f'{who}: {type(model).__name__} has made a training step '
                "without model(..., mode='loss'), through which the losses "
                "are reached: expected MMEngine's BaseModel.train_step, or "
                'one that calls the model itself (not its forward() or '
                'loss()) and gives mode by its name')

    def _before(self, module: nn.Module, args: tuple,
                kwargs: dict[str, Any]) -> None:
        """Note the arguments: a model may change its input dict."""
        # copies of the model carry these hooks too
        wanted = (kwargs.get('mode') == 'loss' and module.training
                  and module is self._model())
        if not wanted:
            self._step = None
            return
        self._asked = True
        given = Step(module, args, kwargs)
        self._step = Step(module, *given.arguments())

    def _keep(self, head: nn.Module, args: tuple, output: Logits) -> None:
        """Note what the head says within a training step."""
        if self._step is not None and not self._busy:
            self._step.logits.append(output)

    def _after(self, module: nn.Module, args: tuple, kwargs: dict[str, Any],
               losses: dict[str, Tensor]) -> dict[str, Tensor] | None:
        """Ask the objectives."""
        step = self._step
        if step is None or self._busy:
            return None
        self._busy = True
        try:
            step.losses = dict(losses)
            added: dict[str, Tensor] = {}
            for objective in self._objectives:
                added.update(objective(step))
            return {**losses, **added}
        finally:
            self._busy = False
            self._step = None  # its graph goes with the step


def _copied(value: Any) -> Any:
    """A dict's shallow copy; anything else itself."""
    return dict(value) if isinstance(value, dict) else value
