"""One file a device family: the device's own end of its protocol."""
