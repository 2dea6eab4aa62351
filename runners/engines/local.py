"""One event loop, a pool per shard, all shards of all models of a stage at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from sharding.plan import Plan, Shard

from ..dispatch.dispatcher import Dispatcher, NoUsableInstance
from ..event_loop.shutdown import Shutdown
from ..samples.bitmap import Bitmap
from ..samples.in_flight_samples import InFlightSamples
from ..samples.pool import Deliver, Pool, PoolSpec, SampleSteps, Work
from ..samples.shard_queue import ModelQueues, ShardQueue


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """The engine that runs the shards of a plan in this process, on one event loop."""

    dispatchers: Mapping[str, Dispatcher]
    work: Work
    deliver: Deliver
    shutdown: Shutdown
    done: Bitmap
    rebalances: bool = True
    """Whether an instance that runs dry takes work of others; of those that are lost it always does."""
    in_flight: InFlightSamples = field(default_factory=InFlightSamples)
    """The samples that are open and have no record yet."""

    async def execute(self, plan: Plan, stage: int) -> list[NoUsableInstance]:
        """Run a stage to its end, or to the end of the grace once the run drains; returns the models that ran out of instances.

        Cancelled samples leave no record: they stay pending. So do those that wait for leave to send or to try again when the run drains.
        """
        pools = [
            pool
            for dispatcher in self.dispatchers.values()
            for pool in self._pools(dispatcher, plan.stages[stage], stage)
        ]
        with self.shutdown.heard_by(self._send_back):
            async with self.shutdown.bounded(), asyncio.TaskGroup() as group:
                for pool in pools:
                    group.create_task(pool.run(plan, self.shutdown), name=f"pool {pool.pool_spec.instance}")
        lost = {str(pool.lost): pool.lost for pool in pools if pool.lost}
        return list(lost.values())

    def _send_back(self) -> None:
        for dispatcher in self.dispatchers.values():
            dispatcher.drain()

    def _pools(self, dispatcher: Dispatcher, shards: Sequence[Shard], stage: int) -> list[Pool]:
        """Build one pool per shard of a model. The pools share the queues that their work comes from."""
        dispatcher.refill()
        own = [shard for shard in shards if shard.instance in dispatcher.instance_states]
        queues = ModelQueues(
            {shard.instance: ShardQueue(shard.ordinals, self.done) for shard in own},
            dispatcher,
            done=self.done,
            rebalances=self.rebalances,
        )
        return [self._pool(dispatcher, shard, stage, queues) for shard in own]

    def _pool(self, dispatcher: Dispatcher, shard: Shard, stage: int, queues: ModelQueues) -> Pool:
        workers = dispatcher.instance_states[shard.instance].instance.workers
        pool_spec = PoolSpec(shard.instance, stage, shard.start_after_s, workers)
        on_dry = partial(dispatcher.run_dry, shard.instance) if self.rebalances else _keep_to_the_plan
        return Pool(pool_spec, queues, SampleSteps(self.work, self.deliver, self.in_flight), on_dry)


def _keep_to_the_plan() -> None:
    """Do nothing: samples that wait at another instance stay there."""
