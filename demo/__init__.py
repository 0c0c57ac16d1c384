"""The product, shown to a newcomer: a real Temporal, a real workflow, this server. Start it with `make demo`.

The parts are used by the end-to-end tests too:

- `dev_server` the real Temporal server and Web UI
- `ui_proxy` gives that Web UI the codec settings which the UI's container image takes from its environment
- `codec_server` this project's server, as a process with a directory of its own
- `workflow` and `worker` a payment workflow whose payloads are encrypted
"""
