"""Eq. 8: the averaged model's fused prediction teaches every branch.

Source: MBCD (Wang et al., AAAI-26, arXiv 2511.20258), section
"collaborative distillation".
"""
from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ['distillation_terms', 'kl_divergence']


def kl_divergence(teacher_prob: Tensor, student_logits: Tensor) -> Tensor:
    """KL(teacher || student), the mean over the batch.

    Args:
        teacher_prob (Tensor): Probabilities, (N, K); no gradient reaches
            them.
        student_logits (Tensor): Logits, (N, K).

    Returns:
        Tensor: Nats >= 0, shape ().
    """
    if teacher_prob.shape != student_logits.shape:
        raise ValueError('teacher_prob and student_logits must have one '
                         f'shape (N, K): got {tuple(teacher_prob.shape)} and '
                         f'{tuple(student_logits.shape)}')
    teacher = teacher_prob.detach()
    student = student_logits.log_softmax(1)
    # xlogy: a class that the teacher rules out costs nothing
    cross = torch.xlogy(teacher, teacher) - teacher * student
    return cross.sum(1).mean()


def distillation_terms(
        teacher_prob: Tensor, fused_logits: Tensor,
        unimodal_logits: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Eq. 8, term by term: KL to the fused and to each modality's output.

    Args:
        teacher_prob (Tensor): The teacher's fused probabilities, (N, K).
        fused_logits (Tensor): The student's fused logits (pass 2), (N, K).
        unimodal_logits (Mapping[str, Tensor]): The student's uni-modal
            logits (pass 1), (N, K) each.

    Returns:
        dict[str, Tensor]: 'fused' and each modality's name to a loss of
        shape (); L_dis is their sum.
    """
    if 'fused' in unimodal_logits:
        raise ValueError("no modality may be called 'fused': that name is "
                         'the fused output')
    terms = {'fused': kl_divergence(teacher_prob, fused_logits)}
    for modality, logits in unimodal_logits.items():
        terms[modality] = kl_divergence(teacher_prob, logits)
    return terms
