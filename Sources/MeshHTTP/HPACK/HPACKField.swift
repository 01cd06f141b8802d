/// One field as the decoder hands it out. The bytes are valid until the next call of the decoder.
package struct HPACKField {
  package var name: UnsafeRawBufferPointer
  package var value: UnsafeRawBufferPointer
  package var kind: FieldKind
  /// No control characters, no white space at the ends.
  package var isValueValid = true
  /// The sender forbids indexing on every hop (RFC 7541, section 6.2.3).
  package var isNeverIndexed = false

  init(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, kind: FieldKind) {
    self.name = name
    self.value = value
    self.kind = kind
  }
}
