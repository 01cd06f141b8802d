import MeshCore
import MeshHTTP
import MeshPolicy

/// A greeting means the same however much of it has come when it is looked at: every beginning of the input is either not enough
/// yet, or says what the whole says. And a name that is found is one.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzClientHello(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard count <= 4_096 else { return 0 }
  let input = UnsafeRawBufferPointer(start: start, count: count)
  let limit = 2_048
  let whole = ClientHello.parse(input, limit: limit)
  for length in 0..<count {
    let early = ClientHello.parse(input.slice(0, length), limit: limit)
    precondition(early == .incomplete || early == whole, "what came later changed the outcome")
  }
  if case .complete(let name?) = whole {
    var name = name
    let again = name.withUTF8 { ServerNameSyntax.lowercased(UnsafeRawBufferPointer($0)) }
    precondition(again == name, "not a name, or not in lower case")
    guard let table = ServerNameTable([RouteRule(name: "r", serverNames: [name], backends: [])]) else {
      preconditionFailure("no table")
    }
    precondition(table.rule(for: name) == 0, "the name does not find itself")
  }
  return 0
}
