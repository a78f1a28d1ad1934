"""The objective of gradient fits and its terms."""
