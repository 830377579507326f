"""The released training step, written plainly: what it costs, and computes.

Helper of benchmarks/step.py. Each pass runs whole networks by their stock
forward: the trunk in pass 1, again in pass 2 on a clone of the whole encoder,
and a third time in the teacher, whose whole state dict is averaged. Nothing
here calls the package; the equations are those of Wang et al. (AAAI-26,
arXiv 2511.20258), as the released experiments apply them: DSU in pass 1 (Li
et al., ICLR 2022), a trunk in train mode although its weights are frozen,
running statistics that all passes of the student move, an average over all
floating-point buffers.
"""
import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

LAST_STAGE = 'layer4'


class Perturb:
    """DSU on a feature map (N, C, *space), or on several by one coin."""

    def __init__(self, prob: float) -> None:
        self.prob = prob

    def __call__(self, x):
        if not self.flips():
            return x
        if isinstance(x, tuple):
            return tuple(self.resample(part) for part in x)
        return self.resample(x)

    def flips(self) -> bool:
        """The coin."""
        return bool(torch.rand(()) < self.prob)

    def resample(self, x: Tensor) -> Tensor:
        """New statistics for one map."""
        if len(x) == 1:
            return x
        space = list(range(2, x.ndim))
        mu = x.mean(space, keepdim=True)
        positions = x[0, 0].numel()
        sigma = torch.sqrt(
            x.var(space, keepdim=True, unbiased=positions > 1) + 1e-6)
        shift = torch.randn_like(mu) * torch.sqrt(
            mu.var(0, keepdim=True) + 1e-6)
        stretch = torch.randn_like(sigma) * torch.sqrt(
            sigma.var(0, keepdim=True) + 1e-6)
        return (sigma + stretch) * (x - mu) / sigma + mu + shift


class Encoder(nn.Module):
    """A whole network of one modality: backbone, pool, LayerNorm."""

    def __init__(self, backbone: nn.Module, norm: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.norm = norm

    def forward(self, x: Tensor, perturb: Perturb | None = None,
                last_stage: Callable = nullcontext) -> Tensor:
        """Input (N, C, ...) to the embedding (N, D).

        Args:
            x (Tensor): What the backbone takes.
            perturb (Perturb, optional): Applied to the last stage's input
                and output.
            last_stage (Callable): Gives the context it runs in.
        """
        with self._around_last_stage(perturb, last_stage):
            maps = self.backbone(x)
        if perturb is not None:
            maps = perturb(maps)
        # SlowFast returns (slow, fast), its head takes fast first
        maps = maps[::-1] if isinstance(maps, tuple) else (maps, )
        return self.norm(torch.cat([x.flatten(2).mean(2) for x in maps], 1))

    @contextmanager
    def _around_last_stage(self, perturb: Perturb | None,
                           context: Callable) -> Iterator[None]:
        running = []
        coins = []  # one for both pathways

        def enter(module, args):
            running.append(context())
            running[-1].__enter__()
            if perturb is None:
                return args
            if not coins:
                coins.append(perturb.flips())
            return tuple(map(perturb.resample, args)) if coins[0] else args

        def leave(module, args, out):
            running.pop().__exit__(None, None, None)

        handles = []
        for name, module in self.backbone.named_modules():
            if name.split('.')[-1] == LAST_STAGE:
                handles.append(module.register_forward_pre_hook(enter))
                handles.append(module.register_forward_hook(leave))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


class Network(nn.Module):
    """Encoders and heads, copied from a ``MultiModalRecognizer``.

    Args:
        model (MultiModalRecognizer): Whose weights, frozen or not, it takes
            over, under the same names. Trunks that train, and backbones
            that have no 'layer4', are not meant.
        trunk_in_eval (bool): Keep the BatchNorms below the last stage in
            eval mode, which the released step does not. Defaults to False.
    """

    def __init__(self, model: nn.Module, trunk_in_eval: bool = False) -> None:
        super().__init__()
        self.trunk_in_eval = trunk_in_eval
        self.branches = nn.ModuleDict({
            m: Encoder(copy.deepcopy(branch.backbone),
                       copy.deepcopy(branch.norm))
            for m, branch in model.branches.items()
        })
        self.unimodal_heads = copy.deepcopy(model.unimodal_heads)
        self.fusion_head = copy.deepcopy(model.fusion_head)
        self.train()

    def train(self, mode: bool = True) -> 'Network':
        """Train mode is for the trunk too."""
        super().train(mode)
        for name, module in self.branches.named_modules():
            if (self.trunk_in_eval and isinstance(module, _BatchNorm)
                    and LAST_STAGE not in name):
                module.eval()
        return self


class ReleasedStep:
    """A student, its teacher, an optimizer, and the step over them.

    Args:
        model (MultiModalRecognizer): Where all start.
        optimizer (Callable): Parameters to a torch optimizer.
        inner_lr (float): Size of the inner step (Eq. 5).
        ema_decay (float): Weight on the past (Eq. 7).
        distill_weight (float): Of all terms of Eq. 8.
        perturb_prob (float): Of DSU; 0 still draws its coins.
        trunk_in_eval (bool): See :class:`Network`.
    """

    def __init__(self, model: nn.Module, optimizer: Callable,
                 inner_lr: float, ema_decay: float, distill_weight: float,
                 perturb_prob: float, trunk_in_eval: bool = False) -> None:
        self.student = Network(model, trunk_in_eval)
        self.teacher = copy.deepcopy(self.student).eval()
        self.teacher.requires_grad_(False)
        self.inner_lr = inner_lr
        self.ema_decay = ema_decay
        self.distill_weight = distill_weight
        self.perturb = Perturb(perturb_prob)
        self.optimizer = optimizer(
            [p for p in self.student.parameters() if p.requires_grad])

    def __call__(self, inputs: Mapping[str, Tensor], labels: Tensor,
                 phase: Callable = nullcontext) -> dict[str, Tensor]:
        """One step on inputs (N, C, ...) and labels (N, ), all in place.

        Args:
            inputs (Mapping[str, Tensor]): Modality to its input.
            labels (Tensor): int64.
            phase (Callable): A phase's name to the context it runs in.

        Returns:
            dict[str, Tensor]: The losses by the names of the recognizer's.
        """
        with phase('rest'):
            losses = self._losses(inputs, labels, phase)
        with phase('backward'):
            sum(losses.values()).backward()
        with phase('optimizer'):
            self.optimizer.step()
            self.optimizer.zero_grad()
        with phase('average'):
            self._average()
        return {name: loss.detach() for name, loss in losses.items()}

    def _losses(self, inputs, labels, phase):
        net = self.student
        logits = {}
        for m, x in inputs.items():
            with phase('trunk'):
                z = net.branches[m](x, self.perturb, lambda: phase('pass 1'))
            with phase('pass 1'):
                logits[m] = net.unimodal_heads[m](z)
        losses = {m: F.cross_entropy(v, labels) for m, v in logits.items()}
        mask = keep_mask(logits)
        masked = []
        for m, x in inputs.items():
            fast = self._look_ahead(net.branches[m], losses[m], phase)
            with phase('trunk'):
                z = fast(x, None, lambda: phase('pass 2'))
            masked.append(z * mask[m])
        with phase('pass 2'):
            fused = net.fusion_head(torch.cat(masked, 1))
        with torch.no_grad():
            embeddings = []
            for m, x in inputs.items():
                with phase('teacher trunk'):
                    embeddings.append(self.teacher.branches[m](
                        x, None, lambda: phase('teacher')))
            with phase('teacher'):
                taught = self.teacher.fusion_head(
                    torch.cat(embeddings, 1)).softmax(1)
        total = {f'loss_{m}': loss for m, loss in losses.items()}
        total['loss_cls'] = F.cross_entropy(fused, labels)
        for name, out in dict(logits, fused=fused).items():
            total[f'loss_distill_{name}'] = self.distill_weight * F.kl_div(
                out.log_softmax(1), taught, reduction='batchmean')
        return total

    def _look_ahead(self, encoder: Encoder, loss: Tensor,
                    phase: Callable) -> Encoder:
        """A clone of the whole encoder, one step ahead."""
        with phase('clone'):
            clone = clone_module(encoder)
        named = [n for n, p in encoder.named_parameters() if p.requires_grad]
        with phase('inner gradient'):
            grads = torch.autograd.grad(
                loss, [encoder.get_parameter(n) for n in named],
                retain_graph=True)
            for name, grad in zip(named, grads, strict=True):
                place, _, leaf = name.rpartition('.')
                owner = clone.get_submodule(place)._parameters
                owner[leaf] = owner[leaf] - self.inner_lr * grad
        return clone

    @torch.no_grad()
    def _average(self) -> None:
        """Eq. 7 over all that a state dict holds."""
        student = self.student.state_dict()
        averaged = {}
        for name, old in self.teacher.state_dict().items():
            new = student[name]
            averaged[name] = new.clone() if not old.is_floating_point() else (
                self.ema_decay * old + (1 - self.ema_decay) * new)
        self.teacher.load_state_dict(averaged)


def clone_module(module: nn.Module) -> nn.Module:
    """A copy with cloned parameters in the graph, and the same buffers."""
    memo = {id(p): p.clone() for p in module.parameters()}
    memo.update((id(b), b) for b in module.buffers())
    return copy.deepcopy(module, memo)


def keep_mask(logits: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Eq. 2-4: modality to its mask (N, 1), from logits (N, K)."""
    sure = {m: v.detach().softmax(1).max(1).values.sum()
            for m, v in logits.items()}
    masks = {}
    for m, own in sure.items():
        others = [own / sure[j] for j in sure if j != m]
        drop = torch.tanh((sum(others) / len(others) - 1).clamp(min=0))
        coins = torch.rand((len(logits[m]), 1), dtype=own.dtype,
                           device=own.device)
        masks[m] = (coins >= drop).to(own.dtype)
    return masks
