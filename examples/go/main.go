// The Go half of a shop: sessions of boj/redistore, which Express shares.
package main

import (
	"encoding/gob"
	"encoding/json"
	"log"
	"net/http"
	"os"

	"github.com/boj/redistore"
	"github.com/gorilla/sessions"
)

var store *redistore.RediStore

func init() { gob.Register(map[string]int{}) }

func main() {
	var err error
	hashKey, blockKey := []byte(os.Getenv("HASH_KEY")), []byte(os.Getenv("BLOCK_KEY"))
	store, err = redistore.NewRediStore(10, "tcp", os.Getenv("REDIS_ADDR"), "", hashKey, blockKey)
	if err != nil {
		log.Fatal(err)
	}
	store.Options.HttpOnly = true
	store.Options.SameSite = http.SameSiteLaxMode

	http.HandleFunc("/go/login", post(login))
	http.HandleFunc("/go/cart", post(add))
	http.HandleFunc("/go/logout", post(logout))
	http.HandleFunc("/go/me", me)
	log.Fatal(http.ListenAndServe(os.Getenv("GO_ADDR"), nil))
}

func login(r *http.Request, session *sessions.Session) {
	// A new ID for whoever logs in: an attacker may know the old one.
	session.ID = ""
	session.Values["user"] = r.FormValue("user")
}

func add(r *http.Request, session *sessions.Session) {
	cart, ok := session.Values["cart"].(map[string]int)
	if !ok {
		cart = map[string]int{}
	}
	cart[r.FormValue("item")]++
	session.Values["cart"] = cart
}

func logout(r *http.Request, session *sessions.Session) { session.Options.MaxAge = -1 }

func me(w http.ResponseWriter, r *http.Request) {
	session, _ := store.Get(r, "shop")
	answer(w, session)
}

func post(handle func(*http.Request, *sessions.Session)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			http.Error(w, "POST only", http.StatusMethodNotAllowed)
			return
		}
		session, _ := store.Get(r, "shop")
		handle(r, session)
		if err := session.Save(r, w); err != nil {
			http.Error(w, "The session could not be saved", http.StatusInternalServerError)
			return
		}
		answer(w, session)
	}
}

func answer(w http.ResponseWriter, session *sessions.Session) {
	w.Header().Set("Content-Type", "application/json")
	if session.Options.MaxAge < 0 {
		session.Values = nil
	}
	json.NewEncoder(w).Encode(map[string]interface{}{"user": session.Values["user"], "cart": session.Values["cart"]})
}
