"""`send`, `chat` and `models`: calls to LLMs as an application makes them, through the http listener."""
