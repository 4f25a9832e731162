"""`sidecar exec`: a program with a sidecar of its own. `execute` is the whole of it; the others are its parts."""
