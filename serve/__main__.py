"""`videorouter serve`: an OpenAI-compatible endpoint that routes, and a page to look at it."""

import sys

from videorouter.command_line import command, typed_command, underscored, with_config_paths
from videorouter.usage import ArgumentParser


def parser() -> ArgumentParser:
    """The command line of `videorouter serve`."""
    from videorouter.routers.backbones.loading_options import FLAGS, add_flags
    from videorouter.serve.config import ServeConfig

    options = ArgumentParser(prog=typed_command("serve"), description=__doc__)
    options.add_argument("--config", action="config", help="YAML file, or the name of a shipped one")
    options.add_class_arguments(ServeConfig, nested_key=None, skip={"accept_base", "whole_base", *FLAGS})
    add_flags(options)
    options.add_argument(
        "--accept_base",
        action="store_true",
        help="use a base that is another one than the routers were trained on, and say what differs",
    )
    options.add_argument(
        "--whole_base",
        action="store_true",
        help="load all of the base although an upstream answers: for systems that read its attention (adapttoken)",
    )
    return options


@command(how_to_resume="the server is stopped")
def main(arguments: list[str]) -> None:
    """Serve until stopped."""
    from videorouter.serve.config import ServeConfig

    options = parser().parse_args(underscored(with_config_paths(arguments))).as_dict()
    options.pop("config", None)
    config = ServeConfig(**options)
    from videorouter.serve.access import Access, keys_from_environment
    from videorouter.serve.listening import address_of, listening_at

    access = Access(config, keys_from_environment())
    with listening_at(config.host, config.port) as listening:  # a taken port is told before the model is loaded
        address = address_of(listening, config.host)

        def told() -> None:
            print(f"{config.served_name} by {config.engine} at {address}/v1, the page at {address}/", flush=True)
            if not config.own_machine_only:
                print(f"clients may call it {access.names}", flush=True)

        from videorouter.serve.server import serve

        serve(config, access, listening, told)


if __name__ == "__main__":
    sys.exit(main())
