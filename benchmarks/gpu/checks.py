"""Section 5: checks that only a GPU can make, each with its evidence."""
import traceback

import check_half
import check_kernels
import check_processes
from common import NotAvailable, Setting
from measure import clear

# What each says when it passes stands in its docstring.
CHECKS = {
    'fp16 inner gradients': check_half.inner_gradients_in_half,
    'fp16 overflow': check_half.overflow,
    'fp16 overflow, batch trunk': check_half.batch_trunk_overflow,
    'fp16 training': check_half.training,
    'fused Adam': check_kernels.fused_adam,
    'share of the average': check_kernels.average_share,
    'waiting for the GPU': check_kernels.waiting,
    'flat reduction of inner gradients': check_processes.flat_reduction,
    'DDP with one process': check_processes.ddp_step,
    'SyncBN with one process': check_processes.sync_bn,
    'deterministic steps': check_kernels.deterministic_steps,
    'compiled trunk, CUDA graphs': check_kernels.compiled_trunk,
}


def run(setting: Setting) -> dict:
    """All checks; one that fails or breaks does not stop the next."""
    data: dict = {}
    for name, check in CHECKS.items():
        data[name] = (dict(status='not run', reason='no time left')
                      if setting.late() else one(setting, check))
        clear(setting)
        setting.save(data)
    return data


def one(setting: Setting, check) -> dict:
    """A check's status, what it claims, and evidence or error."""
    claim = check.__doc__.splitlines()[0]
    try:
        passed, evidence = check(setting)
    except NotAvailable as reason:
        return dict(status='not run', claim=claim, reason=str(reason))
    except Exception as error:
        return dict(status='error', claim=claim, reason=repr(error),
                    traceback=traceback.format_exc())
    return dict(status='pass' if passed else 'fail', claim=claim,
                evidence=evidence)
