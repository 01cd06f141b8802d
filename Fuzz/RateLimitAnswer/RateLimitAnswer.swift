import MeshCore
import MeshPolicy

/// What a rate limit service answers is understood whole or not at all: a frame that is cut, or has something behind it, is none.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzRateLimitAnswer(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard count <= 4_096 else { return 0 }
  let message = Array(UnsafeRawBufferPointer(start: start, count: count))
  let length = (0..<4).map { UInt8(truncatingIfNeeded: count >> (24 - 8 * $0)) }
  // As it is, so that the frame is fuzzed, too, and with a frame that is right.
  for frame in [message, [0] + length + message] where RateLimitMessages.answer(frame) != nil {
    precondition(RateLimitMessages.answer(frame + [0]) == nil, "something behind the frame is passed over")
    precondition(RateLimitMessages.answer(Array(frame.dropLast())) == nil, "a frame that is cut is understood")
  }
  return 0
}
