import MeshCore
import MeshHTTP
import Testing

@Suite("Message head")
struct MessageHeadTests {
  @Test("a value taken from the head itself survives the move of its store")
  func valueInStore() {
    let value = "0123456789abcde"
    for name in ["upgrade", "x-name"] {
      let head = MessageHead(capacity: 16)
      let slice = head.intern(string: value)
      var name = name
      name.withUTF8 { head.append(name: UnsafeRawBufferPointer($0), value: head.bytes(slice)) }
      #expect(head.value(named: name) == value)
    }
    let head = MessageHead(capacity: 16)
    let slice = head.intern(string: value)
    head.append(.upgrade, head.bytes(slice))
    #expect(head.value(named: "upgrade") == value)
  }
}
