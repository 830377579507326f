"""Run scripts in forks of one process that has done the slow imports.

A fresh interpreter spends more time on importing than a tiny training does.
Each line read is one job in JSON, ``dict(argv=[script, ...], cwd, log)``;
each line written is its exit status. A job has its own process, so what it
does to registries, loggers and random numbers is gone with it.

    python fork_server.py MODULE ...
"""
import importlib
import json
import os
import runpy
import sys
import traceback


def run_job(job):
    """Become the script; all that it prints goes to the log."""
    log = os.open(job['log'], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(job['cwd'])
    sys.argv = job['argv']
    status = 0
    try:
        runpy.run_path(sys.argv[0], run_name='__main__')
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def serve():
    """Fork for one job after the other until the input ends."""
    for line in sys.stdin:
        child = os.fork()
        if not child:
            run_job(json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == '__main__':
    for name in sys.argv[1:]:
        importlib.import_module(name)
    serve()
