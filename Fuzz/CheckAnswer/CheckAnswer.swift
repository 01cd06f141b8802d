import MeshCore
import MeshHTTP
import MeshPolicy

/// What an external authorizer answers is understood whole or not at all, and what it changes can go over HTTP.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzCheckAnswer(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard count <= 4_096 else { return 0 }
  let message = Array(UnsafeRawBufferPointer(start: start, count: count))
  let length = (0..<4).map { UInt8(truncatingIfNeeded: count >> (24 - 8 * $0)) }
  // As it is, so that the frame is fuzzed, too, and with a frame that is right.
  for frame in [message, [0] + length + message] {
    guard let verdict = CheckMessages.verdict(frame) else { continue }
    precondition(CheckMessages.verdict(frame + [0]) == nil, "something behind the frame is passed over")
    precondition(CheckMessages.verdict(Array(frame.dropLast())) == nil, "a frame that is cut is understood")
    precondition(verdict.isAllowed || (200...599).contains(verdict.status), "a status that HTTP does not have")
    for change in verdict.requestChanges + verdict.responseChanges {
      precondition(
        !change.name.isEmpty && !change.value.contains(0x0A) && !change.value.contains(0x0D), "a field splits")
    }
    let head = MessageHead()
    head.path = head.intern("/a?k=1&t")
    verdict.apply(toRequest: head)
    precondition(head.bytes(head.path).first == UInt8(ascii: "/"), "the path is lost")
  }
  return 0
}
