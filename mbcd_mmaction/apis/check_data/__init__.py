"""Look through a whole set before a training does: see :func:`check`."""
from .check import CheckResult, check
from .findings import Finding
from .report import format_report

__all__ = ['CheckResult', 'Finding', 'check', 'format_report']
