"""What `overhead` and `calls_per_sample` measure with: workloads, server, clients, and the processes and loops that they run in.

Read `workloads.py` first, then `clients.py`.
"""
