from __future__ import annotations

from tests.kit.redis_server import redis_server


async def test_it_answers_and_begun_again_it_is_empty() -> None:
    async with redis_server() as redis:
        assert await redis.ask("SET", "größe", "1") == "+OK"
        assert await redis.ask("EXISTS", "größe") == ":1"
        await redis.stop()
        assert await redis.ask("PING") == ""
        await redis.start()
        assert await redis.ask("EXISTS", "größe") == ":0"
