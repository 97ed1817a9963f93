"""A real Redis for the tests of this folder."""

from tests.router.cache.redis_server import redis_server

__all__ = ["redis_server"]
