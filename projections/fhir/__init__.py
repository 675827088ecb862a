"""A record as a FHIR R4 document, so that other software can read it.

Where a free text of an event stands, and how a program compares it with the record (`SEGMENT` of
`projections.fhir.texts` is the extension's URL, its `valueString` is `VERSION:PATH`: the event's version in the record
and the segment's path):

1. An object with a key `_NAME` that has `SEGMENT` in its `extension` array has a key `NAME`: a string, whose UTF-8 is
   exactly the segment.
2. An object with `SEGMENT` in its own `extension` array and with a `url` is an Extension: the one other entry of that
   array that has a `valueString` holds exactly the segment.
3. An object with `SEGMENT` in its own `extension` array and with a `contentType` is an Attachment: the bytes that the
   base64 of its `data` stands for are exactly the segment; where it has no `data`, its `size` is 0 and so is the text.
   Notes and what was disclosed stand so, and any text that a FHIR string cannot hold, in an extension `EXACT` in the
   place of `SEGMENT`.
4. In the narrative (`Composition.section.text.div`, XHTML) an element `p` with class `segment` and a `title`
   `VERSION:PATH` has as its text the segment as people are shown it (`projections.fhir.texts.shown`): a character that
   XML or FHIR does not allow stands there as U+FFFD, and a space of another width as a plain space.

Every text of a record that is shown stands exactly once as 1, 2 or 3, and once as 4. Nothing else has `SEGMENT`.
"""
