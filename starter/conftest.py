"""The tests run on the offline model, whatever key this machine has."""

import os

os.environ.pop("OPENAI_API_KEY", None)
