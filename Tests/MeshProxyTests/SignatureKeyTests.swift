import MeshCore
import MeshPolicy
import MeshRuntime
import Testing

/// Published vectors, and one of our own where there is none, through the parser and OpenSSL.
@Suite("Signatures of tokens") struct SignatureKeyTests {
  /// RFC 7515, appendix A.2.
  private static let rsaKey = #"""
    {"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}
    """#
  private static let rsaToken =
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
  /// RFC 7515, appendix A.3.
  private static let ecKey = #"""
    {"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}
    """#
  private static let ecToken =
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
  /// RFC 8037, appendix A.4; its payload is no JSON.
  private static let edKey = #"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#
  private static let edMessage = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
  private static let edSignature =
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
  /// Made with OpenSSL by another program.
  static let pssKey = #"""
    {"kty": "RSA", "kid": "r", "n": "s4ZtGcsYlZ3xOEblSY-hcZ5_bhaeOMfRPi1jKkhKfC7dWmOrWTytyQctSqGgXpJCguWIvd2akUT-z_xzsIMwKC0aOQZZkOvJUa026id2i7ri8XGaFU-hF9i-A0c3jCPS0Xi1_YOZMgv4YZno9CpsummaQ0W6WGSHTVAxC19ej67W8kPjt5xqvSfLams1S79BXoN8dB-fpAhqnkhevw5RmXgEwhULj4Om_eUsMrrbOfBoafU5UzRmbrWGHgzFtt9D2b4zgjRrW4ldnplV2VecTqLFyM5YPa8wz676X_yVTDvA4wThWHE2tDG8NebsjO9lt-0V_fyTbkgux4lHFXZgeQ", "e": "AQAB"}
    """#
  static let pssToken =
    "eyJhbGciOiJQUzI1NiIsImtpZCI6InIifQ.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiZXhwIjo0MTAyNDQ0ODAwfQ.F63WUgolcAx1-OH37Aw-LAKw4R70jIUFRln-aGQlUhXVZ8DeACN3xsRnvDQeYTFAM_QfJno2eXsJcD8gxYhm3I9n6xfYGDhHZ7IFjzWjEXnBFbuXU-edz2gTBtUaZDNCk0dsa4sVJzZ9K5CPnZTUjQA-jPmEuA8oaFPbjH5p_xXkKO-nhYM0oJnCNJVlPfYX6358Dw6Q44_cLU6sRQ-mGiVUCZtDheUldqQv3pq_yzq1eBw9qGg7fTVCkk7MNyADHyEpWPY6GjZnQ6fd5kvTChokcd5pY3F5FLqkEvhLh9zeUppzYnROHgikDq18TqTPhzMUNZVvczdQhOqysjOVmw"

  private static func key(_ jwk: String) throws -> SignatureKey? {
    let key = try TokenKeySet(#"{"keys":[\#(jwk)]}"#.utf8).keys[0]
    return switch key.kind {
    case .rsa: SignatureKey(.rsa(modulus: key.first, exponent: key.second))
    case .p256: SignatureKey(.p256(x: key.first, y: key.second))
    case .ed25519: SignatureKey(.ed25519(key.first))
    }
  }

  private static func split(_ token: String) throws -> (message: [UInt8], signature: [UInt8]) {
    let dot = try #require(token.lastIndex(of: "."))
    let signature = Array(token[token.index(after: dot)...].utf8)
    return (Array(token[..<dot].utf8), try #require(signature.withUnsafeBytes { Base64URL.decode($0) }))
  }

  private static func verify(
    _ jwk: String, _ token: (message: [UInt8], signature: [UInt8]), _ scheme: SignatureKey.Scheme
  ) throws -> Bool {
    let key = try #require(try key(jwk))
    return token.message.withUnsafeBytes { key.verifies(token.signature, over: $0, scheme) }
  }

  @Test("published signatures are good under their own scheme, and changed ones are not")
  func vectors() throws {
    let cases: [(String, String, SignatureKey.Scheme)] = [
      (Self.rsaKey, Self.rsaToken, .pkcs1), (Self.pssKey, Self.pssToken, .pss), (Self.ecKey, Self.ecToken, .ecdsa),
      (Self.edKey, "\(Self.edMessage).\(Self.edSignature)", .ed25519),
    ]
    for (jwk, text, scheme) in cases {
      let token = try Self.split(text)
      #expect(try Self.verify(jwk, token, scheme))
      for index in token.signature.indices where index % 7 == 0 {
        var other = token
        other.signature[index] ^= 1
        #expect(try !Self.verify(jwk, other, scheme))
      }
      var other = token
      other.message[30] ^= 1
      #expect(try !Self.verify(jwk, other, scheme))
      for length in [0, 1, token.signature.count - 1] {
        other = (token.message, Array(token.signature.prefix(length)))
        #expect(try !Self.verify(jwk, other, scheme))
      }
      other = (token.message, token.signature + [0])
      #expect(try !Self.verify(jwk, other, scheme))
    }
    #expect(try !Self.verify(Self.rsaKey, Self.split(Self.rsaToken), .pss))
    #expect(try !Self.verify(Self.pssKey, Self.split(Self.pssToken), .pkcs1))
  }

  @Test("a signature of zeros, or in DER, is none of ECDSA's")
  func ecdsa() throws {
    let message = try Self.split(Self.ecToken).message
    for signature: [UInt8] in [
      Array(repeating: 0, count: 64), Array(repeating: 255, count: 64), [48, 6, 2, 1, 1, 2, 1, 1],
    ] {
      #expect(try !Self.verify(Self.ecKey, (message, signature), .ecdsa))
    }
  }

  @Test("a point that is not on the curve is no key")
  func badPoint() {
    #expect(SignatureKey(.p256(x: Array(1...32), y: Array(1...32))) == nil)
    #expect(SignatureKey(.p256(x: [], y: [])) == nil)
    #expect(SignatureKey(.ed25519([1])) == nil)
  }
}
