import MeshCore
import MeshHTTP
import Testing

@Suite struct HPACKTableTests {
  @Test("a head that recurs costs one byte per field")
  func recurring() {
    var encoder = HPACKEncoder()
    let head = [
      ":method: GET", ":scheme: http", ":path: /api/orders", ":authority: orders.shop", "user-agent: test/1.0",
      "accept: */*", "accept-encoding: gzip", "x-tenant: blue",
    ]
    var size = 0
    for _ in 0..<3 { size = encode(head, with: &encoder).count }
    #expect(size == 8)
  }

  @Test("values that never come back do not enter the table")
  func unique() {
    var encoder = HPACKEncoder()
    for i in 0..<1000 { _ = encode(["x-request-id: \(i)-\(i * 7919)", ":path: /orders/\(i)"], with: &encoder) }
    #expect(encoder.tableByteCount == 0)
  }

  @Test("authorization and short cookies are literals that are never indexed")
  func secrets() {
    var encoder = HPACKEncoder()
    for _ in 0..<3 {
      #expect(encode(["authorization: Bearer x"], with: &encoder)[0] & 0xF0 == 0x10)
      #expect(encode(["cookie: a=b"], with: &encoder)[0] & 0xF0 == 0x10)
    }
    #expect(encoder.tableByteCount == 0)
  }

  @Test("a lowered table size is announced before the next field, the smallest first")
  func sizeUpdates() {
    var encoder = HPACKEncoder()
    _ = encode(["server: a"], with: &encoder)
    encoder.setPeerTableSize(0)
    encoder.setPeerTableSize(100)
    let bytes = encode([":method: GET"], with: &encoder)
    #expect(bytes == hex("20 3f45 82"))
    #expect(encoder.tableByteCount == 0)
  }

  @Test("after the acknowledgement of a smaller table a block must begin with a size update")
  func owedUpdate() {
    var decoder = HPACKDecoder(tableSize: 1024)
    decoder.acknowledged(tableSize: 1024)
    var other = decoder
    #expect(decode(hex("82"), with: &decoder) == ["failure: a table size update is owed"])
    #expect(decode(hex("3fe10782"), with: &other) == [":method: GET"])
  }

  @Test("names that no token stands for are told apart by their bytes, malformed ones too")
  func unknownNames() {
    var encoder = HPACKEncoder()
    var decoder = HPACKDecoder()
    for _ in 0..<3 {
      for name in [":xa", ":xb", "X-A", "X-B", "x-a", "x-b"] {
        #expect(decode(encode([name + ": v"], with: &encoder), with: &decoder) == [name + ": v"])
      }
    }
  }

  @Test("the first field of a table may be empty")
  func emptyFirst() {
    var decoder = HPACKDecoder()
    // A literal with incremental indexing, without a name and without a value; then the same by its index.
    #expect(decode([0x40, 0, 0, 0xBE], with: &decoder) == [": ", ": "])
    #expect(decoder.tableByteCount == 32)
  }

  @Test("every byte value survives, coded or not")
  func allBytes() {
    var encoder = HPACKEncoder()
    var decoder = HPACKDecoder()
    for byte in UInt8(0)...127 {
      let line = "x-value: " + String(repeating: String(UnicodeScalar(byte)), count: Int(byte) % 7 + 1)
      #expect(decode(encode([line], with: &encoder), with: &decoder) == [line])
    }
  }

  @Test("encoder and decoder stay in step over random heads and table sizes", arguments: [1, 2, 3] as [UInt64])
  func random(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var encoder = HPACKEncoder()
    var decoder = HPACKDecoder()
    let names = [
      "accept", "x-a", "x-b", "server", "via", "etag", ":path", "cookie", "a-much-longer-field-name-than-others",
    ]
    for round in 0..<2000 {
      if random.next(below: 50) == 0 { encoder.setPeerTableSize(random.next(below: 5000)) }
      var lines: [String] = []
      for _ in 0..<random.next(below: 12) {
        let value = String(repeating: "v\(random.next(below: 20))", count: 1 + random.next(below: 40))
        lines.append(names[random.next(below: names.count)] + ": " + value)
      }
      let decoded = decode(encode(lines, with: &encoder), with: &decoder)
      #expect(decoded == lines, "seed \(seed), round \(round)")
      #expect(encoder.tableByteCount == decoder.tableByteCount)
      guard decoded == lines else { return }
    }
  }

  @Test(
    "passing over indexed fields goes on at the first other one, and leaves every error to be found",
    arguments: [
      ("82 86 84 be bd be 00 01 62 01 32 82", "b: 2"), ("82 be", "end"), ("80", "failure"), ("82 bf", "failure"),
      ("be ff 00", "failure"), ("be 20", "failure"), ("be 7f", "failure"), ("", "end"),
    ])
  func skipping(_ rest: String, _ expected: String) {
    var decoder = HPACKDecoder()
    let found: String = (hex("40 01 61 01 31") + hex(rest)).withUnsafeBytes { bytes in
      decoder.begin(bytes)
      guard case .field = decoder.next() else { return "no field" }
      decoder.skipIndexed()
      switch decoder.next() {
      case .field(let field): return field.name.string + ": " + field.value.string
      case .end: return "end"
      case .failure: return "failure"
      }
    }
    #expect(found == expected)
  }
}
