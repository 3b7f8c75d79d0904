"""Our node beside etcd and PySyncObj; `python -m benchmarks.live`."""
