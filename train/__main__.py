"""`python -m train fit --config ...`: LightningCLI over the modules and data of this room."""

import sys

import configs


def main(arguments: list[str] | None = None) -> None:
    """Run LightningCLI; shipped configs are found by name from any folder. User errors end as one line and exit code 1."""
    if arguments is None:
        sys.argv[1:] = configs.located(sys.argv[1:])
    else:
        arguments = configs.located(arguments)

    from train.cli import run  # Lightning takes seconds to import

    try:
        run(arguments)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
