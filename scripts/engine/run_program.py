"""Runs a Pulumi program inside its process: connects the SDK to the engine, then runs the program as __main__.

It is started by path with the project's Python, so it imports nothing of the engine. Exit code 0: done; 32: failed and
told through the engine's log.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import runpy
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_TOLD = 32


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for name in ("monitor", "engine", "project", "stack", "parallel", "dry_run", "root_directory"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("program")
    return parser.parse_args()


def _program_trace(program: Path) -> str:
    """The exception's trace from the program's own first frame on."""
    frames = traceback.extract_tb(sys.exc_info()[2])
    main = program / "__main__.py" if program.is_dir() else program
    for position, frame in enumerate(frames):
        if Path(frame.filename).resolve() == main.resolve():
            return traceback.format_exc(limit=position - len(frames))
    return traceback.format_exc()


def _unheard(*message: object, **details: object) -> None:
    """A debug message of the SDK."""
    del message, details


def main() -> int:
    """Connect, run, tell."""
    sys.path.pop(0)  # this file's directory is the engine's, not the program's
    try:
        import pulumi  # noqa: PLC0415 - a missing SDK is told in words
        from pulumi import runtime  # noqa: PLC0415
    except ImportError:
        traceback.print_exc()
        print(
            "The Pulumi SDK is not installed; run pip install -r requirements.txt in the virtual environment.",
            file=sys.stderr,
        )
        return 1
    arguments = _parse()
    program = Path(arguments.program).absolute()
    runtime.set_all_config(runtime.get_config_env(), runtime.get_config_secret_keys_env())
    runtime.configure(
        runtime.Settings(
            monitor=arguments.monitor,
            engine=arguments.engine,
            project=arguments.project,
            stack=arguments.stack,
            parallel=int(arguments.parallel),
            dry_run=arguments.dry_run == "true",
            organization="organization",
            root_directory=arguments.root_directory,
        )
    )
    sys.argv = [str(program)]
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    executor = ThreadPoolExecutor(max_workers=int(arguments.parallel) * 4)
    loop.set_default_executor(executor)
    pulumi.log.debug = _unheard  # each message would be a call to the engine, which throws it away
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # work left over after a failure is no error of its own

    def run() -> None:
        runpy.run_path(str(program), run_name="__main__")

    try:
        loop.run_until_complete(runtime.run_in_stack(run))
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
        return _TOLD
    except Exception:
        pulumi.log.error("Program failed with an unhandled exception:\n" + _program_trace(program))
        return _TOLD
    finally:
        executor.shutdown(wait=True)
        loop.close()
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
