"""What runs beside the requests of a serving process: signing, watching, tending, figures. It decides nothing."""
