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
Objective = Callable[['Step'], Mapping[str, Tensor]]


@dataclass
class Step:
    """What is known of one training step when the model has its losses.

    Attributes:
        model (nn.Module): The model, unwrapped.
        args (tuple): Positional arguments of its forward, as they were
            before it ran: dicts among them are copies.
        kwargs (dict): Keyword arguments, likewise.
        losses (dict[str, Tensor]): What it returned.
        logits (Tensor or dict[str, Tensor], optional): What the watched head
            returned, (N, K) each; None if no head is watched.
    """
    model: nn.Module
    args: tuple
    kwargs: dict[str, Any]
    losses: dict[str, Tensor] = field(default_factory=dict)
    logits: Tensor | dict[str, Tensor] | None = None

    @property
    def inputs(self) -> Any:
        """The model's inputs, a fresh shallow copy where it is a dict."""
        return _copied(self.args[0] if self.args else self.kwargs['inputs'])

    def again(self) -> tuple[tuple, dict[str, Any]]:
        """Arguments for another forward; dicts are copied once more."""
        return (tuple(_copied(x) for x in self.args),
                {name: _copied(x) for name, x in self.kwargs.items()})


class LossTap:
    """Forward hooks on one model that let objectives change its losses.

    An objective maps a :class:`Step` to entries that replace or join the
    losses. It is asked in training only, in the order of :meth:`add`, and
    not within itself: a forward that an objective makes passes unchanged.
    Attach in ``before_train``: the copies that averaging hooks make before
    are then free of it, and compilation comes after.

    Use :meth:`of`.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = weakref.ref(model)
        self._objectives: list[Objective] = []
        self._handles: list = []
        self._heads: dict[str, Any] = {}
        self._step: Step | None = None
        self._busy = False

    @classmethod
    def of(cls, model: nn.Module) -> 'LossTap':
        """The tap of this model, made where there is none yet."""
        if model not in _TAPS:
            _TAPS[model] = cls(model)
        return _TAPS[model]

    def __deepcopy__(self, memo: dict) -> 'LossTap':
        # Copies of a model (averages) share it; it knows its own model.
        return self

    def add(self, objective: Objective) -> None:
        """Ask this objective in every training step from now on."""
        model = self._model()
        if not self._handles:
            self._handles = [
                model.register_forward_pre_hook(self._before,
                                                with_kwargs=True),
                model.register_forward_hook(self._after, with_kwargs=True)
            ]
        self._objectives.append(objective)

    def watch(self, head: nn.Module) -> None:
        """Keep what this module of the model returns, as ``Step.logits``."""
        self._handles.append(head.register_forward_hook(self._keep))

    def remove(self, objective: Objective) -> None:
        """Ask it no longer; without objectives the model is as it was."""
        if objective in self._objectives:
            self._objectives.remove(objective)
        if not self._objectives:
            for handle in self._handles:
                handle.remove()
            self._handles.clear()
            self._step = None

    def _wants(self, module: nn.Module, args: tuple,
               kwargs: Mapping[str, Any]) -> bool:
        """Whether this forward is a training step of our own model."""
        mode = kwargs.get('mode', args[2] if len(args) > 2 else None)
        return (mode == 'loss' and module.training and not self._busy
                and module is self._model())

    def _before(self, module: nn.Module, args: tuple,
                kwargs: dict[str, Any]) -> None:
        """Note the arguments: a model may change its input dict."""
        self._step = None
        if self._wants(module, args, kwargs):
            self._step = Step(module, *_copied_all(args, kwargs))

    def _keep(self, head: nn.Module, args: tuple, output: Any) -> None:
        """Note what the head says within a training step."""
        if self._step is not None and not self._busy:
            self._step.logits = output

    def _after(self, module: nn.Module, args: tuple, kwargs: dict[str, Any],
               losses: dict[str, Tensor]) -> dict[str, Tensor] | None:
        """Ask the objectives."""
        step = self._step
        if step is None or self._busy:
            return None
        self._busy = True
        try:
            step.losses = dict(losses)
            for objective in list(self._objectives):
                step.losses.update(objective(step))
            return step.losses
        finally:
            self._busy = False
            self._step = None  # its graph goes with the step


def _copied(value: Any) -> Any:
    """A dict's shallow copy; anything else itself."""
    return dict(value) if isinstance(value, dict) else value


def _copied_all(args: tuple,
                kwargs: Mapping[str, Any]) -> tuple[tuple, dict[str, Any]]:
    """Arguments of which dicts are copies."""
    return (tuple(_copied(x) for x in args),
            {name: _copied(x) for name, x in kwargs.items()})
