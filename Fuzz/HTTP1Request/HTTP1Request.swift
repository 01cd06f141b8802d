import HTTP1Property
import MeshHTTP

/// Parses the input as requests, whole and in pieces, and demands the same events. The first byte chooses the pieces.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard let data, count > 1 else { return 0 }
  let input = UnsafeRawBufferPointer(start: data + 1, count: count - 1)
  checkSplitInvariance(input, role: .request, requestMethod: .get, seed: data[0])
  return 0
}
