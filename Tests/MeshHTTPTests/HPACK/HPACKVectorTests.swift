import MeshHTTP
import Testing

/// RFC 7541, appendix C.
@Suite struct HPACKVectorTests {
  struct Vector: CustomTestStringConvertible {
    var section: String
    var blocks: [(hex: String, lines: [String], tableSize: Int)]
    var tableSize = 4096
    var testDescription: String { section }
  }

  static let request1 = [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"]
  static let request3 = [
    ":method: GET", ":scheme: https", ":path: /index.html", ":authority: www.example.com", "custom-key: custom-value",
  ]
  static let response1 = [
    ":status: 302", "cache-control: private", "date: Mon, 21 Oct 2013 20:13:21 GMT",
    "location: https://www.example.com",
  ]
  static let response2 = [":status: 307"] + response1[1...]
  static let response3 = [
    ":status: 200", "cache-control: private", "date: Mon, 21 Oct 2013 20:13:22 GMT",
    "location: https://www.example.com", "content-encoding: gzip",
    "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
  ]

  static let vectors: [Vector] = [
    Vector(
      section: "C.2.1",
      blocks: [("400a637573746f6d2d6b65790d637573746f6d2d686561646572", ["custom-key: custom-header"], 55)]),
    Vector(section: "C.2.2", blocks: [("040c2f73616d706c652f70617468", [":path: /sample/path"], 0)]),
    Vector(section: "C.2.3", blocks: [("100870617373776f726406736563726574", ["password: secret"], 0)]),
    Vector(section: "C.2.4", blocks: [("82", [":method: GET"], 0)]),
    Vector(
      section: "C.3",
      blocks: [
        ("828684410f7777772e6578616d706c652e636f6d", request1, 57),
        ("828684be58086e6f2d6361636865", request1 + ["cache-control: no-cache"], 110),
        ("828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565", request3, 164),
      ]),
    Vector(
      section: "C.4",
      blocks: [
        ("828684418cf1e3c2e5f23a6ba0ab90f4ff", request1, 57),
        ("828684be5886a8eb10649cbf", request1 + ["cache-control: no-cache"], 110),
        ("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf", request3, 164),
      ]),
    Vector(
      section: "C.5",
      blocks: [
        (
          """
          4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e17
          68747470733a2f2f7777772e6578616d706c652e636f6d
          """, response1, 222
        ),
        ("4803333037c1c0bf", Array(response2), 222),
        (
          """
          88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d41
          53444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31
          """, response3, 215
        ),
      ], tableSize: 256),
    Vector(
      section: "C.6",
      blocks: [
        (
          """
          488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8
          e9ae82ae43d3
          """, response1, 222
        ),
        ("4883640effc1c0bf", Array(response2), 222),
        (
          """
          88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b
          3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007
          """, response3, 215
        ),
      ], tableSize: 256),
  ]

  @Test("RFC 7541 appendix C decodes as printed, with the table sizes printed", arguments: vectors)
  func decodes(_ vector: Vector) {
    var decoder = HPACKDecoder()
    if vector.tableSize != 4096 { #expect(MeshHTTPTests.decode(hex("3fe101"), with: &decoder).isEmpty) }
    for block in vector.blocks {
      #expect(MeshHTTPTests.decode(hex(block.hex), with: &decoder) == block.lines)
      #expect(decoder.tableByteCount == block.tableSize)
    }
  }

  @Test("what the encoder makes of appendix C decodes to the same fields", arguments: vectors)
  func encodes(_ vector: Vector) {
    var encoder = HPACKEncoder()
    var decoder = HPACKDecoder()
    encoder.setPeerTableSize(vector.tableSize)
    for _ in 0..<3 {
      for block in vector.blocks {
        let bytes = MeshHTTPTests.encode(block.lines, with: &encoder)
        #expect(MeshHTTPTests.decode(bytes, with: &decoder) == block.lines)
        #expect(encoder.tableByteCount == decoder.tableByteCount)
      }
    }
  }

  @Test(
    "RFC 7541 C.1 integers decode",
    arguments: [("3f9a0a", "1337 in a 5-bit prefix"), ("2a", "10 in a 5-bit prefix")])
  func integers(_ block: String, _ meaning: String) {
    var decoder = HPACKDecoder()
    #expect(MeshHTTPTests.decode(hex(block), with: &decoder).isEmpty, "\(meaning)")
  }

  @Test(
    "a broken block is a failure",
    arguments: [
      ("80", "index 0"), ("be", "an index past the table"), ("ff", "a cut integer"),
      ("ffffffffffffff7f", "a huge integer"),
      ("4005", "a cut string"), ("8220", "a size update after a field"), ("3fe21f", "a size update above the limit"),
      ("0081ff0161", "EOS padding of a whole byte"), ("00811c0161", "padding of zeros"),
      ("0084ffffffff0161", "EOS inside a string"),
    ])
  func failures(_ block: String, _ meaning: String) {
    var decoder = HPACKDecoder()
    let lines = MeshHTTPTests.decode(hex(block), with: &decoder)
    #expect(lines.last?.hasPrefix("failure") == true, "\(meaning): \(lines)")
  }
}
