#: expect
www.example.net answers www.example.net, plain
www.example.net answers www.example.net, tls
#: run
keytool -importcert -noprompt -file "$AUTHORITY" -alias test -keystore trusted -storepass changeit -storetype PKCS12 >/dev/null 2>&1
cat >Client.java <<'X'
import java.net.*;
import java.net.http.*;

public class Client {
    public static void main(String[] urls) throws Exception {
        for (String url : urls) {
            URI uri = URI.create(url + "/hello");
            System.out.print(HttpClient.newHttpClient().send(HttpRequest.newBuilder(uri).build(), HttpResponse.BodyHandlers.ofString()).body());
        }
    }
}
X
java -Djavax.net.ssl.trustStore=trusted -Djavax.net.ssl.trustStorePassword=changeit Client.java "$HTTP" "$TLS"
