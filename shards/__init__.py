"""The on-disk format of labelled videos: schema, writer, reader, verification. Plain webdataset tars with guarantees."""
