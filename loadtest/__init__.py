"""
Load tests over public HTTP: they work against this fleet, against nginx in its place, against anybody's endpoint.

The life of a load test:

1. `__main__` reads what is wanted; `scale` walks over fleet sizes and balancers and calls `run` for each.
2. `target` starts the fleet (or nginx in front of the same workers, see `nginx`), or takes a URL that is running.
3. `run` starts Locust with `locustfile` in a process of its own, and beside it `faults` and `usage` (CPU seconds).
4. There `conductor` walks through the phases of a scenario (`scenarios`); in a closed loop callers wait for their
   answers, in an open one calls are due when `arrivals` says, whatever the answers do.
5. Each call sends a clip whose words are known (`clips`, `words`), as a client with some `manners` would (`client`);
   it ends as one `outcome`, which `recorder` writes down.
6. `measure` turns outcomes into figures, without I/O; `report`, `plots` and `page` show them.
"""
