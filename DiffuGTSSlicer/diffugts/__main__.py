"""`python -m diffugts`: the same as the command `diffugts`."""

from diffugts.cli.app import main

if __name__ == "__main__":
    main()
