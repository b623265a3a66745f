"""`python -m jaxseg` is the `jaxseg` command."""

from jaxseg.commands.main import main

if __name__ == "__main__":
    main()
