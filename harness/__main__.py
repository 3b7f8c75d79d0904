"""`python -m harness`: the same as `foreshock`."""

from .cli import main

if __name__ == "__main__":
    main()
