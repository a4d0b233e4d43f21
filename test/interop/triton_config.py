"""Triton's own reader and writer of config.pbtxt: {"texts": [...]} gives each one's fields, and the same in the library's text."""

import json
import sys

from google.protobuf import json_format, text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig


def describe(text):
    config = text_format.Parse(text, ModelConfig())
    return {
        "fields": json_format.MessageToDict(config, preserving_proto_field_name=True),
        "written": [
            text_format.MessageToString(config),
            text_format.MessageToString(config, as_one_line=True),
            text_format.MessageToString(config, use_short_repeated_primitives=True, pointy_brackets=True),
        ],
    }


json.dump([describe(text) for text in json.load(sys.stdin)["texts"]], sys.stdout)
