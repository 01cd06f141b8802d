import MeshCore

/// The static table (RFC 7541, appendix A), made once for the process and never changed.
struct HPACKStaticTable {
  static let count = 61

  /// Fields by index; place 0 is unused.
  let fields: UnsafePointer<HPACKField>
  /// By `FieldKind` raw value: the first index with that name, 0 for none.
  let nameIndex: UnsafePointer<UInt8>

  private init() {
    let fields = UnsafeMutablePointer<HPACKField>.allocate(capacity: Self.count + 1)
    let nameIndex = UnsafeMutablePointer<UInt8>.allocate(capacity: 256)
    nameIndex.initialize(repeating: 0, count: 256)
    let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
    fields.initialize(to: HPACKField(name: nothing, value: nothing, kind: .malformed))
    for (place, row) in Self.rows.enumerated() {
      let name = UnsafeRawBufferPointer(start: row.0.utf8Start, count: row.0.utf8CodeUnitCount)
      let value = UnsafeRawBufferPointer(start: row.1.utf8Start, count: row.1.utf8CodeUnitCount)
      let kind = FieldKind(name: name)
      (fields + place + 1).initialize(to: HPACKField(name: name, value: value, kind: kind))
      let slot = Int(kind.rawValue)
      if kind.rawValue != HeaderToken.other.rawValue, nameIndex[slot] == 0 { nameIndex[slot] = UInt8(place + 1) }
    }
    self.fields = UnsafePointer(fields)
    self.nameIndex = UnsafePointer(nameIndex)
  }

  /// Immutable after its making, hence safe to share.
  nonisolated(unsafe) static let shared = HPACKStaticTable()

  private static let rows: [(StaticString, StaticString)] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
  ]
}
