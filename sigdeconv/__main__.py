"""``python -m sigdeconv``: the command of the same name."""

from .cli import main

if __name__ == "__main__":
    main()
