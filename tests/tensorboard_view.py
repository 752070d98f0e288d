"""What TensorBoard itself makes of a folder of runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.custom_scalar.custom_scalars_plugin import CustomScalarsPlugin
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams.backend_context import Context
from tensorboard.plugins.hparams.list_session_groups import Handler


class View:
    """TensorBoard's own reading of a folder."""

    def __init__(self, logdir: Path) -> None:
        runs = EventMultiplexer().AddRunsFromDirectory(str(logdir)).Reload()
        provider = MultiplexerDataProvider(runs, str(logdir))
        self._context = TBContext(data_provider=provider, multiplexer=runs)
        self.runs = {
            str(name): EventAccumulator(str(logdir / name)).Reload() for name in runs.Runs()
        }

    def tags(self, kind: str) -> dict[str, list[str]]:
        """Return the names of what each run has: `scalars` or `images`."""
        return {name: sorted(events.Tags()[kind]) for name, events in self.runs.items()}

    def hparams(self) -> dict[str, dict[str, Any]]:
        """Return the rows of the tab HParams: name to settings and metrics, and its sessions."""
        every = [api_pb2.STATUS_UNKNOWN, api_pb2.STATUS_SUCCESS]
        request = api_pb2.ListSessionGroupsRequest(allowed_statuses=every, slice_size=1000)
        found = Handler(RequestContext(), Context(self._context), "", request).run()
        rows = {}
        for group in found.session_groups:
            metrics = {value.name.tag: value.value for value in group.metric_values}
            rows[group.name] = {
                "settings": {k: MessageToDict(v) for k, v in group.hparams.items()},
                "metrics": metrics,
                "sessions": [session.name for session in group.sessions],
            }
        return rows

    def charts(self) -> dict[str, dict[str, list[str]]]:
        """Return the tab Custom Scalars: category to chart to patterns of scalars' names."""
        layout = CustomScalarsPlugin(self._context).layout_impl(RequestContext(), "")
        return {
            category["title"]: {c["title"]: c["multiline"]["tag"] for c in category["chart"]}
            for category in json.loads(layout)["category"]
        }
