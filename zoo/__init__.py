"""The bottleneck zoo: every bottleneck method is one point on a few axes, fitted and judged by the same code."""
