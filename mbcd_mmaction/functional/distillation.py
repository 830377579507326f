"""Eq. 8: the averaged model's fused prediction teaches every branch.

Source: MBCD (Wang et al., AAAI-26, arXiv 2511.20258), section
"collaborative distillation".
"""
import torch
from torch import Tensor

__all__ = ['kl_divergence']


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
