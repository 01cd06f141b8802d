import MeshPolicy
import Testing

@Suite("Content of requests") struct RequestBodyTests {
  @Test("content may be as long as the limit, by its length or by what came")
  func maximum() {
    let body = RequestBodyPolicy(maximumBytes: 100)
    for (declared, received, refused) in [
      (100, 0, false), (101, 0, true), (nil, 100, false), (nil, 101, true), (5, 101, true), (nil, 0, false),
    ] as [(UInt64?, UInt64, Bool)] {
      #expect(body.refuses(declared: declared, received: received) == refused)
    }
    #expect(!RequestBodyPolicy().refuses(declared: .max, received: .max))
    #expect(!RequestBodyPolicy(maximumBytes: 100).holds(declared: 1, received: 0, hasEnded: false, isGRPC: false))
  }

  @Test("a request waits for its content if that fits, unless it is whole or a gRPC call")
  func holding() {
    let body = RequestBodyPolicy(bufferBytes: 100)
    for (declared, received, held) in [(100, 0, true), (101, 0, false), (nil, 100, true), (nil, 101, false)]
      as [(UInt64?, UInt64, Bool)]
    {
      #expect(body.holds(declared: declared, received: received, hasEnded: false, isGRPC: false) == held)
      #expect(!body.holds(declared: declared, received: received, hasEnded: true, isGRPC: false))
      #expect(!body.holds(declared: declared, received: received, hasEnded: false, isGRPC: true))
    }
  }
}
