"""`python -m diffugts`: the same as the command `diffugts`."""

import sys

if sys.version_info < (3, 10):  # noqa: UP036 - an older Python cannot read what is imported next
    sys.exit("Python 3.10 to 3.13 is needed, this is Python {}.{}".format(*sys.version_info))

from diffugts.cli.app import main  # noqa: E402

if __name__ == "__main__":
    main()
