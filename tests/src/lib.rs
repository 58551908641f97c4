//! Drives whole systems of nodes in one process: the harness of the scenarios and simulations.
