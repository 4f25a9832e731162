"""A localhost proxy that gives any application resilience."""

__version__ = "0.1.0"
