"""The napari plugin. Only napari loads it, by `napari.yaml`; napari and Qt are imported inside its functions."""
