import HTTP1Property
import MeshHTTP

/// Parses the input as responses, whole and in pieces, and demands the same events. The first byte chooses the pieces
/// and, by its two low bits, the request that is answered.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard let data, count > 1 else { return 0 }
  let input = UnsafeRawBufferPointer(start: data + 1, count: count - 1)
  let method: Method = [.get, .head, .connect, .post][Int(data[0] & 3)]
  checkSplitInvariance(input, role: .response, requestMethod: method, seed: data[0])
  return 0
}
