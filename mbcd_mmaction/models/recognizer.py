"""The recognizer: several modalities, one fused prediction, one step."""
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from mmaction.registry import MODELS
from mmaction.utils import SampleList
from mmengine.model import BaseModel, ModuleDict
from torch import Tensor, nn

from ..functional import confidence, dominance_ratio
from .branch import Branch
from .first_pass import FirstPass, run_first_pass
from .modality_dropout import BaseModalityDropout
from .objectives import (
    AveragedNetwork,
    build_objective,
    objective_losses,
    refuse_objective,
)
from .presence import Presence
from .slots import Distiller, LookAhead
from .stages import Features
from .stored_trunk import take_stored, trunk_of
from .views import (
    check_complete,
    check_known,
    check_modalities,
    flatten_views,
    labels_of,
    of_modalities,
    repeat_views,
)
from .weight_source import refuse_files

__all__ = ['MultiModalRecognizer']


@MODELS.register_module()
class MultiModalRecognizer(BaseModel):
    """Late fusion of any number of modalities, trained by ERM or MBCD.

    By itself it trains as ERM with uni-modal losses and modality dropout;
    ``GradientConsistencyHook`` fills its ``lookahead`` and
    ``WATeacherDistillHook`` its ``distiller``, which makes it MBCD. At test
    time no modality is dropped.

    Args:
        branches (dict): Modality to the arguments of
            :class:`~mbcd_mmaction.models.branch.Branch`.
        num_classes (int): K.
        modalities (Sequence[str], optional): Which of ``branches`` are built
            and the order of their concatenation. Defaults to all, in order.
        unimodal_head (dict): Config of phi_k. Defaults to ``MLPHead``.
        fusion_head (dict): Config of phi_mm. Defaults to ``MLPHead``.
        modality_dropout (dict, optional): Config, e.g.
            ``AdaptiveModalityDropout`` (Eq. 2-4). Defaults to None.
        feature_perturbation (dict, optional): Config, e.g. ``DSU``, used in
            pass 1. Defaults to None.
        objective (dict, optional): Config of what another method trains by,
            e.g. ``SimMMDG``, in the place of Eq. 9; see
            :class:`~mbcd_mmaction.models.objectives.Objective`. Defaults to
            None.
        unimodal_loss_weight (float): Weight of each L_k in Eq. 9. At 0 the
            uni-modal heads still learn, from detached embeddings (probes),
            so that each modality can be reported; the encoders are then
            trained by the fused loss alone. An objective decides that
            itself. Defaults to 1.0.
        trunk_norm (str): 'frozen' or 'batch', see Branch.
        trunk (dict, optional): How the frozen trunks run, see Branch; a
            branch's own ``trunk`` comes in its place. Defaults to None.
        train_layer_norm (bool): See Branch. Defaults to True.
        update_bn_at_fast_weights (bool): Whether BatchNorm's running
            statistics also move in pass 2; a trunk's on 'batch' then move as
            over two passes. Defaults to True.
        release_early (bool): Whether a step that looks ahead (first order)
            takes all gradients of a modality's pass 1 at once, so that its
            activations are freed before those of the next. The numbers are
            the same; the gradient of a modality's terms then hangs on the
            first of them alone, and none reaches the inputs. Defaults to
            True.
        test_modalities (Sequence[str], optional): The subset that predicts;
            the others are masked. Defaults to None: all.
        data_preprocessor (dict, optional): MultiModalDataPreprocessor.
        init_cfg (dict, optional): As in mmengine's BaseModule, without
            files: a branch's weights are its ``checkpoint``.
    """

    def __init__(self,
                 branches: Mapping[str, dict],
                 num_classes: int,
                 modalities: Sequence[str] | None = None,
                 unimodal_head: dict | None = None,
                 fusion_head: dict | None = None,
                 modality_dropout: dict | None = None,
                 feature_perturbation: dict | None = None,
                 objective: dict | None = None,
                 unimodal_loss_weight: float = 1.0,
                 trunk_norm: str = 'frozen',
                 trunk: dict | None = None,
                 train_layer_norm: bool = True,
                 update_bn_at_fast_weights: bool = True,
                 release_early: bool = True,
                 test_modalities: Sequence[str] | None = None,
                 data_preprocessor: dict | None = None,
                 init_cfg: dict | None = None) -> None:
        refuse_files(init_cfg)
        super().__init__(data_preprocessor, init_cfg)
        self.modalities = check_modalities(modalities, branches)
        self.num_classes = num_classes
        self.unimodal_loss_weight = float(unimodal_loss_weight)
        self.update_bn_at_fast_weights = update_bn_at_fast_weights
        self.release_early = release_early
        self.test_modalities = test_modalities
        check_known(test_modalities or (), self.modalities)
        defaults = dict(trunk_norm=trunk_norm, trunk=trunk,
                        train_layer_norm=train_layer_norm)
        self.branches = ModuleDict({
            m: Branch(**{**defaults, 'modality': m, **branches[m]})
            for m in self.modalities
        })
        head = dict(type='MLPHead', num_classes=num_classes)
        dims = {m: self.branches[m].embed_dims for m in self.modalities}
        self.unimodal_heads = ModuleDict({
            m: MODELS.build(
                {**head, **(unimodal_head or {}), 'in_channels': dims[m]})
            for m in self.modalities
        })
        self.fusion_head = MODELS.build(
            {**head, **(fusion_head or {}),
             'in_channels': sum(dims.values())})
        self.modality_dropout: BaseModalityDropout | None = (
            modality_dropout and MODELS.build(modality_dropout))
        self.feature_perturbation = (
            feature_perturbation and MODELS.build(feature_perturbation))
        self.objective = build_objective(objective, dims, num_classes)
        self.averaged: AveragedNetwork | None = None
        self.lookahead: LookAhead | None = None
        self.distiller: Distiller | None = None

    @property
    def cls_head(self) -> nn.Module:
        """The fused head, under the host's name for it."""
        return self.fusion_head

    def forward(self,
                inputs: Mapping[str, Tensor],
                data_samples: SampleList | None = None,
                mode: str = 'tensor',
                trunk_features: Mapping | None = None,
                **kwargs) -> dict | list | Tensor:
        """The host's entry: mode 'loss', 'predict' or 'tensor'.

        Args:
            inputs (Mapping[str, Tensor]): Modality to (N, S, C, ...), S the
                views of a clip; never mutated.
            data_samples (list[ActionDataSample], optional): N samples.
            mode (str): 'tensor' returns ``extract_feat``'s result.
            trunk_features (Mapping, optional): What a dataset with
                ``trunk_cache`` gives in the place of inputs, see
                :mod:`~mbcd_mmaction.models.stored_trunk`.
            **kwargs: Passed on; e.g. ``stage`` or ``modalities``.

        Returns:
            dict, list or Tensor: Losses, predictions or features.
        """
        if trunk_features is not None:
            inputs = take_stored(self, inputs, trunk_features, data_samples)
        if mode == 'loss':
            return self.loss(inputs, data_samples, **kwargs)
        if mode == 'predict':
            return self.predict(inputs, data_samples, **kwargs)
        if mode == 'tensor':
            return self.extract_feat(inputs, **kwargs)
        raise ValueError("mode must be 'loss', 'predict' or 'tensor', got "
                         f'{mode!r}')

    def loss(self, inputs: Mapping[str, Tensor],
             data_samples: SampleList) -> dict[str, Tensor]:
        """One training step's losses: Eq. 9, term by term.

        Args:
            inputs (Mapping[str, Tensor]): Modality to (N, S, C, ...).
            data_samples (list[ActionDataSample]): With ``gt_label``.

        Returns:
            dict[str, Tensor]: Losses ``loss_*``, which the host sums, and
            scalars to log.
        """
        if self.lookahead is not None or self.distiller is not None:
            refuse_objective(self)
        check_complete(data_samples, self.modalities)
        views, num_views = flatten_views(
            of_modalities(inputs, self.modalities))
        labels = labels_of(data_samples).repeat_interleave(num_views)
        # step 1: the frozen trunks, once
        twice = self._looks_ahead and self.update_bn_at_fast_weights
        trunk = self.run_trunk(views, passes=2 if twice else 1)
        # step 6, first: it draws nothing, and pass 1 is rid of its graph
        # the sooner
        teacher_prob = (self.distiller
                        and self.distiller.teacher_prob(views, trunk))
        # step 2: pass 1, at theta, with its terms of Eq. 8 and 9
        first = run_first_pass(self, trunk, labels, teacher_prob)
        # step 3: Eq. 2-4
        keep_mask, log = self._balance(first.logits)
        if self.objective is not None:
            fused_logits = self.fuse(first.embeddings, keep_mask)
            losses = objective_losses(self, views, trunk, first, fused_logits,
                                      labels)
            return {**losses, **log}
        # steps 4 and 5: Eq. 5 and pass 2, at theta'
        embeddings = first.embeddings
        if self._looks_ahead:
            embeddings = self._second_pass(trunk, self._fast_weights(first))
        fused_logits = self.fuse(embeddings, keep_mask)
        losses = {'loss_cls': F.cross_entropy(fused_logits, labels)}
        if self.lookahead is not None and not self.lookahead.takes_step:
            losses['loss_consistency'] = self.lookahead.penalty(
                first.losses, losses['loss_cls'], self.encoder_params())
        # step 7: Eq. 8, the fused term
        if self.distiller is not None:
            losses.update(
                self.distiller.term('fused', teacher_prob, fused_logits))
        # step 8: the host sums, in this order, and steps
        return {**first.terms, **losses, **first.distill_terms, **log}

    def predict(self,
                inputs: Mapping[str, Tensor],
                data_samples: SampleList | None = None,
                modalities: Sequence[str] | None = None) -> SampleList:
        """Fused scores and, beside them, each modality's.

        A modality that ``inputs`` lacks, that a sample's ``modality_mask``
        calls absent or that is not among ``modalities`` is masked in the
        fused prediction as in training, and has no score of its own.

        Args:
            inputs (Mapping[str, Tensor]): Modality to (N, S, C, ...).
            data_samples (list[ActionDataSample], optional): N samples.
            modalities (Sequence[str], optional): The subset that predicts.
                Defaults to ``test_modalities``.

        Returns:
            list[ActionDataSample]: Each with ``pred_score`` (K,),
            ``pred_label`` and ``modality_scores``, modality to (K,).
        """
        presence = Presence(self.modalities, inputs, data_samples,
                            modalities or self.test_modalities)
        views, num_views = flatten_views(
            {m: inputs[m] for m in presence.modalities})
        embeddings, unimodal_logits = {}, {}
        for m, h in self.run_trunk(views).items():
            embeddings[m], unimodal_logits[m] = self.encode(m, h)
        embeddings = presence.fill_absent(embeddings, {
            m: branch.embed_dims
            for m, branch in self.branches.items()
        })
        mask = {m: repeat_views(x, num_views)
                for m, x in presence.mask.items()}
        fused = self.fusion_head.average_views(
            self.fuse(embeddings, mask), presence.num_samples)
        scores = {
            m: self.unimodal_heads[m].average_views(x, presence.num_samples)
            for m, x in unimodal_logits.items()
        }
        return presence.pack(data_samples, fused, scores)

    def extract_feat(self,
                     inputs: Mapping[str, Tensor],
                     stage: str = 'head') -> Tensor | dict[str, Tensor]:
        """Features without losses or post-processing.

        Args:
            inputs (Mapping[str, Tensor]): Modality to (N, S, C, ...).
            stage (str): 'head' for fused logits (N * S, K), 'backbone' for
                a dict of embeddings (N * S, D_k).
        """
        views, _ = flatten_views(of_modalities(inputs, self.modalities))
        trunk = self.run_trunk(views)
        embeddings = {m: self.branches[m](trunk[m]) for m in trunk}
        if stage == 'backbone':
            return embeddings
        if stage == 'head':
            return self.fuse(embeddings)
        raise ValueError(f"stage must be 'backbone' or 'head', got {stage!r}")

    def run_trunk(self, views: Mapping[str, Tensor],
                  passes: int = 1) -> dict[str, Features]:
        """Step 1: each present modality's frozen trunk."""
        return {
            m: trunk_of(self.branches[m], views[m], passes)
            for m in self.modalities if m in views
        }

    def fuse(self,
             embeddings: Mapping[str, Tensor],
             keep_mask: Mapping[str, Tensor] | None = None) -> Tensor:
        """Mask, concatenate in the order of ``modalities``, classify.

        Args:
            embeddings (Mapping[str, Tensor]): z_k, (N, D_k) each.
            keep_mask (Mapping[str, Tensor], optional): (N, 1) or (1, 1)
                each; kept rows are not rescaled.

        Returns:
            Tensor: Fused logits, (N, K).
        """
        if keep_mask is not None:
            embeddings = {
                m: z * keep_mask[m].to(z.dtype)
                for m, z in embeddings.items()
            }
        return self.fusion_head(
            torch.cat([embeddings[m] for m in self.modalities], dim=1))

    def fused_prob(self, views: Mapping[str, Tensor],
                   trunk: Mapping[str, Features]) -> Tensor:
        """Step 6, called on the averaged model: its fused probabilities.

        Args:
            views (Mapping[str, Tensor]): Modality to (N, C, ...).
            trunk (Mapping): The student's trunk features; used where both
                share the trunk, else the own trunk runs.

        Returns:
            Tensor: Probabilities (N, K).
        """
        return self.fuse(self.averaged_embeddings(views, trunk)).softmax(1)

    def averaged_embeddings(
            self, views: Mapping[str, Tensor],
            trunk: Mapping[str, Features]) -> dict[str, Tensor]:
        """On the averaged model: z_k, (N, D_k); see :meth:`fused_prob`."""
        features = {
            m: trunk[m] if branch.shares_trunk else branch.trunk(views[m])
            for m, branch in self.branches.items()
        }
        return {m: self.branches[m](features[m]) for m in features}

    @property
    def has_probes(self) -> bool:
        """Whether the uni-modal heads train on detached embeddings."""
        if self.objective is not None:
            return not self.objective.trains_unimodal
        return self.unimodal_loss_weight == 0

    def encode(self, m: str, h: Features) -> tuple[Tensor, Tensor]:
        """Pass 1 of one modality.

        Args:
            m (str): The modality.
            h (Tensor or tuple): Its trunk's features, (N, C, ...).

        Returns:
            tuple: Embedding z_k (N, D_k), which DSU may have perturbed, and
            logits f^k (N, K).
        """
        z = self.branches[m](h, self.feature_perturbation)
        seen = z.detach() if self.has_probes else z
        return z, self.unimodal_heads[m](seen)

    def encoder_params(self) -> dict[str, dict[str, nn.Parameter]]:
        """Modality to theta_k, the trainable encoder tensors by name."""
        return {m: b.trainable_params() for m, b in self.branches.items()}

    @property
    def _looks_ahead(self) -> bool:
        return self.lookahead is not None and self.lookahead.takes_step

    def _fast_weights(self, first: FirstPass) -> dict[str, dict[str, Tensor]]:
        """Eq. 5, from the gradients that are there or by taking them."""
        params = self.encoder_params()
        if first.inner_grads:
            # not kept: pass 2 needs the memory
            inner, first.inner_grads = first.inner_grads, {}
            return self.lookahead.step(inner, params, first.scale)
        return self.lookahead.fast_weights(first.losses, params)

    def _second_pass(
            self, trunk: Mapping[str, Features],
            fast: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """Pass 2, at theta': embeddings (N, D_k)."""
        embeddings = {}
        for m, branch in self.branches.items():
            state = dict(fast[m])
            if not self.update_bn_at_fast_weights:
                # pass 2 then counts its statistics on copies
                state.update((n, b.clone()) for n, b in branch.named_buffers())
            embeddings[m] = torch.func.functional_call(
                branch, state, (trunk[m], ))
        return embeddings

    def _balance(
        self, unimodal_logits: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor] | None, dict[str, Tensor]]:
        """Eq. 2-4: masks (None without dropout) and scalars to log."""
        scores = confidence(unimodal_logits)
        log = {f'confidence_{m}': v for m, v in scores.items()}
        ratio = dominance_ratio(scores)
        log.update((f'dominance_ratio_{m}', v) for m, v in ratio.items())
        if self.modality_dropout is None:
            return None, log
        mask, probs = self.modality_dropout.keep_mask(unimodal_logits, ratio)
        log.update((f'drop_prob_{m}', v) for m, v in probs.items())
        return mask, log
