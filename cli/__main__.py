"""`python -m cli`, and `tt` where the package is installed."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cli.errors import Failure


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `tt` with the arguments of the command line, and exit with its status."""
    from cli.app import application

    try:
        status = application()(arguments, prog_name="tt", standalone_mode=False)
    except BrokenPipeError:
        # The reader has seen enough; what is still buffered goes nowhere.
        sys.stderr.close()
        raise SystemExit(0) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except Exception as error:  # noqa: BLE001 - said in one line, with its exit status
        failure = Failure.of(error)
        sys.stderr.write(failure.line())
        raise SystemExit(failure.status) from None
    raise SystemExit(status if isinstance(status, int) else 0)


if __name__ == "__main__":
    main()
