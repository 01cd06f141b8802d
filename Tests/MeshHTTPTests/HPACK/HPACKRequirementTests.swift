import MeshHTTP
import Testing

/// RFC 7541, section by section: blocks that a decoder takes, and the decoding errors that end a connection.
@Suite struct HPACKRequirementTests {
  struct Case: CustomTestStringConvertible, Sendable {
    var testDescription: String
    /// The blocks of one connection, in order.
    var blocks: [[UInt8]]
    /// The fields of the last block, or nil for a decoding error there.
    var fields: [String]?

    init(_ title: String, _ blocks: [UInt8]..., gives fields: [String]?) {
      testDescription = title
      self.blocks = blocks
      self.fields = fields
    }
  }

  /// `name: value` with incremental indexing and plain strings.
  private static func indexing(_ name: String, _ value: String) -> [UInt8] { [0x40] + literal(name, value).dropFirst() }

  static let tables: [Case] = [
    Case("2.3.1 the first and the last static entry", hex("81 bd"), gives: [":authority: ", "www-authenticate: "]),
    Case(
      "2.3.2 the newest entry has the lowest index", indexing("a", "1") + indexing("b", "2"), hex("be bf"),
      gives: ["b: 2", "a: 1"]),
    Case(
      "2.3.2 duplicates are entries of their own", indexing("a", "1") + indexing("a", "1"), hex("be bf"),
      gives: ["a: 1", "a: 1"]),
    Case("2.3.3 an index right above both tables", indexing("a", "1"), hex("bf"), gives: nil),
    Case("2.3.3 a name's index right above both tables", hex("40 40 01 61 7e 01 61"), gives: nil),
    Case("4.2 a size update to the limit", hex("3f e1 1f 82"), gives: [":method: GET"]),
    Case("4.2 several size updates", hex("20 3f e1 1f 82"), gives: [":method: GET"]),
    Case("4.2 a size update above the limit", hex("3f e2 1f 82"), gives: nil),
    Case("4.2 a size update behind a field", hex("82 20"), gives: nil),
    Case("4.3 a smaller table forgets", indexing("a", "1"), hex("20 be"), gives: nil),
    Case("4.3 a table that grows again stays empty", indexing("a", "1"), hex("20 3f e1 1f be"), gives: nil),
    Case(
      "4.4 an entry larger than the table is a field all the same", hex("3f 01") + indexing("a", "1"), gives: ["a: 1"]),
    Case("4.4 and leaves nothing behind", hex("3f 01") + indexing("a", "1"), hex("be"), gives: nil),
    Case(
      "4.4 and empties the table", hex("3f 09") + indexing("a", "1"),
      indexing("b", String(repeating: "2", count: 20)), hex("be"), gives: nil),
    Case(
      "4.4 a name may come from the entry it evicts", hex("3f 03") + indexing("a", "1"), hex("7e 01 32"),
      hex("be"), gives: ["a: 2"]),
  ]

  static let primitives: [Case] = [
    Case("5.1 an integer with redundant zeros", hex("3f e1 9f 80 00 82"), gives: [":method: GET"]),
    Case("5.1 an integer beyond every limit", hex("ff ff ff ff ff ff ff ff ff ff 7f"), gives: nil),
    Case("5.1 an integer of zeros without end", hex("ff 80 80 80 80 80 80 00"), gives: nil),
    Case("5.1 an integer cut off", hex("ff"), gives: nil),
    Case("5.2 a string longer than its block", hex("00 02 61"), gives: nil),
    Case("5.2 no string where the value should be", hex("00 01 61"), gives: nil),
    Case("5.2 empty strings", hex("00 01 61 00"), gives: ["a: "]),
    Case("5.2 an empty Huffman string", hex("00 01 61 80"), gives: ["a: "]),
    Case("5.2 padding of three ones", hex("00 01 61 81 1f"), gives: ["a: a"]),
    Case("5.2 padding of eight ones", hex("00 01 61 82 1f ff"), gives: nil),
    Case("5.2 padding of zeros", hex("00 01 61 81 18"), gives: nil),
    Case("5.2 EOS", hex("00 01 61 84 ff ff ff ff"), gives: nil),
    Case("5.2 EOS in the middle", hex("00 01 61 85 ff ff ff fc 7f"), gives: nil),
    Case("5.2 a Huffman name", hex("00 81 1f 01 76"), gives: ["a: v"]),
  ]

  static let representations: [Case] = [
    Case("6.1 index 0", hex("80"), gives: nil),
    Case("6.2.1 with indexing, static name", hex("44 02 2f 61"), hex("be"), gives: [":path: /a"]),
    Case(
      "6.2.1 with indexing, dynamic name", indexing("a", "1"), hex("7e 01 32"), hex("be bf"), gives: ["a: 2", "a: 1"]),
    Case("6.2.2 without indexing, static name", hex("04 02 2f 61"), gives: [":path: /a"]),
    Case("6.2.2 without indexing leaves no entry", hex("04 02 2f 61"), hex("be"), gives: nil),
    Case("6.2.2 without indexing, dynamic name", indexing("a", "1"), hex("0f 2f 01 32"), gives: ["a: 2"]),
    Case("6.2.3 never indexed, new name", hex("10 01 61 01 31"), gives: ["a: 1"]),
    Case("6.2.3 never indexed leaves no entry", hex("14 02 2f 61"), hex("be"), gives: nil),
    Case("6.3 a size update alone", hex("20"), gives: []),
  ]

  @Test("blocks and their fields", arguments: tables + primitives + representations)
  func requirement(_ test: Case) {
    var decoder = HPACKDecoder()
    for block in test.blocks.dropLast() {
      #expect(!decode(block, with: &decoder).contains { $0.hasPrefix("failure") })
    }
    let lines = decode(test.blocks.last ?? [], with: &decoder)
    if let fields = test.fields {
      #expect(lines == fields)
    } else {
      #expect(lines.last?.hasPrefix("failure") == true, "\(lines)")
    }
  }

  @Test("a block cut off anywhere is an error or holds only its first fields, never more")
  func cuts() {
    let block = hex("82 40 01 61 02 62 63 44 02 2f 61 00 01 64 81 1f 86")
    let whole = [":method: GET", "a: bc", ":path: /a", "d: a", ":scheme: http"]
    for cut in 0...block.count {
      var decoder = HPACKDecoder()
      var lines = decode(Array(block[..<cut]), with: &decoder)
      if lines.last?.hasPrefix("failure") == true { lines.removeLast() }
      #expect(whole.starts(with: lines), "cut at \(cut)")
    }
  }
}
