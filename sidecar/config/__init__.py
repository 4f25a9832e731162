"""From the text of a policy file to settings: all mistakes at once, with their lines."""

from sidecar.config.load import Loaded, find, load, redacted

__all__ = ["Loaded", "find", "load", "redacted"]
